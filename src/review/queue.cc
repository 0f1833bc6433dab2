#include "review/queue.h"

#include <algorithm>

#include "base/crypto.h"

namespace saw::review {

using store::Review;

Result<Review> Queue::open(Review request, int64_t hold_ms) {
  const size_t here = SAW_TRY(store_.reviews({.state = kPending,
                                              .workspace = request.workspace,
                                              .kind = request.kind,
                                              .limit = kMaxPendingPerWorkspace}))
                          .size();
  if (here >= kMaxPendingPerWorkspace)
    return Error::make("review.busy", "{} requests of this workspace wait for a review already", here);
  request.id = random_id("rv-");
  request.state = kPending;
  request.created = clock_.now();
  request.expires = request.created + std::max<int64_t>(hold_ms, 0) * kMillisecond;
  SAW_TRY(store_.add(request), "recording a review");
  return request;
}

Result<Review> Queue::find(std::string_view id) const {
  auto found = SAW_TRY(store_.review(id));
  if (!found) return Error::make("review.not_found", "there is no review '{}'", id);
  return std::move(*found);
}

Result<std::vector<Review>> Queue::list(std::string_view state, std::string_view sponsor) const {
  return store_.reviews({.state = state, .sponsor = sponsor, .limit = kMaxListed});
}

Result<std::vector<Review>> Queue::of_workspace(std::string_view workspace, std::string_view kind) const {
  return store_.reviews({.workspace = workspace, .kind = kind, .limit = kMaxListed});
}

Result<Review> Queue::decide(std::string_view id, const DecisionRequest& request) {
  Review review = SAW_TRY(find(id));
  if (!request.by.starts_with("uid:"))
    return Error::make("review.not_a_person", "'{}' is not a person; only a person decides", request.by);
  if (request.why.size() > kMaxWhy)
    return Error::make("request.too_long", "a reason of more than {} bytes", kMaxWhy);
  if (review.state != kPending)
    return Error::make("review.conflict", "review '{}' is {} already", id, review.state);
  if (clock_.now() >= review.expires) return Error::make("review.expired", "review '{}' has expired", id);
  if (request.digest && *request.digest != review.digest)
    return Error::make("review.digest_mismatch", "review '{}' is about {}, not {}", id, review.digest,
                       *request.digest);
  if (request.verdict == Verdict::approve && request.approvers == Approvers::other_than_requester &&
      request.by == review.sponsor)
    return Error::make("review.same_person",
                       "the policy wants an approver other than the requester's sponsor {}", review.sponsor);
  review.state = request.verdict == Verdict::approve ? kApproved : kDenied;
  review.decided = clock_.now();
  review.decided_by = request.by;
  review.why = request.why;
  if (!SAW_TRY(store_.transition(review, kPending)))
    return Error::make("review.conflict", "review '{}' was decided meanwhile", id);
  return review;
}

Result<Review> Queue::close(std::string_view id, std::string_view state) {
  Review review = SAW_TRY(find(id));
  review.state = state;
  review.decided = clock_.now();
  if (!SAW_TRY(store_.transition(review, kPending)))
    return Error::make("review.conflict", "review '{}' was decided already", id);
  return review;
}

Result<Review> Queue::time_out(std::string_view id) {
  return close(id, kTimedOut);
}
Result<Review> Queue::abandon(std::string_view id) {
  return close(id, kAbandoned);
}

Result<std::vector<Review>> Queue::abandon_all() {
  std::vector<Review> closed;
  for (;;) {  // the store lists at most kMaxListed at a time
    const auto waiting = SAW_TRY(store_.reviews({.state = kPending, .kind = kRequest, .limit = kMaxListed}));
    if (waiting.empty()) return closed;
    for (const Review& review : waiting) closed.push_back(SAW_TRY(close(review.id, kAbandoned)));
  }
}

}  // namespace saw::review
