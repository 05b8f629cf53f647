"""What training and scoring cost on this machine, beside what the machine could do at best.

Everything is measured in processes of its own, so that nothing here imports torch except the module `probe` and what
it calls. Use `differnet.bench.benchmark.run_benchmark`, or the command ``differnet bench``.
"""
