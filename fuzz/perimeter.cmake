saw_fuzz(NAME dial_protocol DEPS egress)
saw_fuzz(NAME perimeter_file DEPS egress)
saw_fuzz(NAME perimeter_dns DEPS egress)
