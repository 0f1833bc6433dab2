saw_fuzz(NAME wire DEPS base)
