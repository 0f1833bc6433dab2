// Where a piece of work belongs: requirements §1 as a pure function. SAW says no, too: to what does not need
// it, and to what it must refuse.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace saw::cli {

enum class Answer { no, yes };
struct Needs {
  Answer autonomous = Answer::no;     // it acts without a person at each step
  Answer internal = Answer::no;       // internal services or private data
  Answer internet = Answer::no;       // wide internet reach
  Answer serves_others = Answer::no;  // other users are to use it
  Answer long_running = Answer::no;   // days or weeks, with nobody attached
};

enum class Home { endpoint, public_workspace, corporate_workspace, split, hosting_platform };
std::string_view name(Home home);

struct Advice {
  Home home = Home::endpoint;
  std::string summary;               // a sentence
  std::string timescale;             // "workspace", "session or call"; empty where SAW is not used
  std::vector<std::string> reasons;  // sentences
  std::vector<std::string> next;     // commands or steps
};
Advice advise(const Needs& needs);

}  // namespace saw::cli
