"""DifferNet behind the interfaces of other libraries; each module needs its library, and nothing imports it unasked."""
