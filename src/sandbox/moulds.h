// The running moulds of this host (mould_protocol.h), by what they have in common with their sandboxes.
//
//   Moulds moulds(init_path);
//   SAW_TRY(moulds.send(*prepared, wire::encode_struct(spec), descriptors));
//
// A mould is started when it is first needed, and again when it has died; it does not wait for the mould's
// root to be built, since the mould answers in order. It ends with drop(), with this object, and with
// saw-node.
#pragma once

#include <map>
#include <span>
#include <string>

#include "os/channel.h"
#include "os/spawn.h"

namespace saw::sandbox {

class Moulds {
 public:
  static constexpr size_t kMaxMoulds = 2048;

  explicit Moulds(std::string init_path) : init_path_(std::move(init_path)) {}
  ~Moulds();
  Moulds(const Moulds&) = delete;

  struct Kind {
    const std::string& key;
    const std::string& message;  // the encoded MouldSpec
    const std::string& storage;  // whose mounts it holds
  };
  Result<> send(const Kind& kind, std::string_view request, std::span<const int> fds);
  // Ends the moulds of one storage directory; empty: all.
  void drop(const std::string& storage);
  size_t count() const { return running_.size(); }

 private:
  struct Running {
    os::Child process;
    os::Channel channel;
    std::string storage;
  };
  Result<Running> start(const Kind& kind) const;
  static void end(const Running& mould);

  std::string init_path_;
  std::map<std::string, Running> running_;
};

}  // namespace saw::sandbox
