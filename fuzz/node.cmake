saw_fuzz(NAME node_protocol DEPS sandbox)
saw_fuzz(NAME init_protocol DEPS sandbox)
saw_fuzz(NAME init_report DEPS sandbox)
saw_fuzz(NAME proof DEPS sandbox)
