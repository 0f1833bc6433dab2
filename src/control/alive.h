// Callbacks that outlive their object do nothing: every answer from another program goes through guard().
//
//   node_.request(StopSandbox{…}, alive_.guard([this](auto answer) { … }));     // not called once *this is
//   gone
#pragma once

#include <memory>
#include <utility>

namespace saw::control {

class Alive {
 public:
  Alive() = default;
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;

  template <class F> auto guard(F function) const {
    return [weak = std::weak_ptr<const char>(token_),
            function = std::move(function)](auto&&... arguments) mutable {
      if (!weak.expired()) function(std::forward<decltype(arguments)>(arguments)...);
    };
  }

  // For objects that may outlive this one.
  std::weak_ptr<const char> watch() const { return token_; }

 private:
  std::shared_ptr<const char> token_ = std::make_shared<const char>('\0');
};

}  // namespace saw::control
