saw_fuzz(NAME tar DEPS cli)
