saw_fuzz(NAME checkpoint DEPS audit)
saw_fuzz(NAME event DEPS audit)
target_link_libraries(event_fuzz PRIVATE nlohmann_json::nlohmann_json)
saw_fuzz(NAME token DEPS identity)
