saw_fuzz(NAME git_config DEPS sandbox)
