saw_fuzz(NAME prove DEPS prove)
