foreach(parser release_manifest release_pointer release_envelope release_revocations release_rollback trust_file channels_file)
  saw_fuzz(NAME ${parser} DEPS release)
endforeach()
