saw_fuzz(NAME node_protocol DEPS sandbox)
saw_fuzz(NAME init_protocol DEPS sandbox)
