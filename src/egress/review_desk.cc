#include "egress/review_desk.h"

namespace saw::egress {

void ReviewDesk::on_verdict(ReviewVerdict verdict) {
  auto found = held_.find(verdict.ask);
  if (found == held_.end()) return;  // withdrawn meanwhile
  Case& held = *found->second;
  held_.erase(found);
  held.verdict_ = std::move(verdict);
  held.wake_.open();
}

ReviewDesk::Case::Case(ReviewDesk& desk, ReviewAsk ask)
    : desk_(desk), number_(desk.next_++), wake_(desk.net_) {
  ask.ask = number_;
  desk_.held_.emplace(number_, this);
  desk_.send_(std::move(ask));
}

ReviewDesk::Case::~Case() {
  if (desk_.held_.erase(number_) > 0) desk_.send_(ReviewAbandoned{number_});
}

}  // namespace saw::egress
