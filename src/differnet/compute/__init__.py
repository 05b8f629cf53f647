"""What computes: devices, threads, memory, OpenVINO."""
