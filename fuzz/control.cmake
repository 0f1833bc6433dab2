saw_fuzz(NAME api_request DEPS api)
