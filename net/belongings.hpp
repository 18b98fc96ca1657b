// SPDX-License-Identifier: Apache-2.0
//
// What somebody owns and must let go of at their end, whatever happened to it meanwhile: the sockets
// that a request's Lua code has made.
//
// Thread   that of the owner.
#pragma once

namespace troupe::net {

class belongings;

/// One of them. Leaves the list when it is destroyed.
class belonging {
public:
  belonging() = default;
  belonging(const belonging&) = delete;
  belonging& operator=(const belonging&) = delete;
  virtual ~belonging() { leave(); }

  /// The owner has ended; called once, the list has been left.
  virtual void on_owner_ended() noexcept = 0;
  [[nodiscard]] belongings* owner() const noexcept { return owner_; }

protected:
  inline void join(belongings& owner) noexcept;
  inline void leave() noexcept;

private:
  friend class belongings;
  belongings* owner_ = nullptr;
  belonging* next_ = nullptr;
  belonging* previous_ = nullptr;
};

class belongings {
public:
  belongings() = default;
  belongings(const belongings&) = delete;
  belongings& operator=(const belongings&) = delete;
  ~belongings() { end(); }

  void end() noexcept {
    while (first_ != nullptr) {
      belonging* one = first_;
      one->leave();
      one->on_owner_ended();
    }
  }

private:
  friend class belonging;
  belonging* first_ = nullptr;
};

void belonging::join(belongings& owner) noexcept {
  leave();
  owner_ = &owner;
  next_ = owner.first_;
  if (next_ != nullptr) next_->previous_ = this;
  owner.first_ = this;
}

void belonging::leave() noexcept {
  if (owner_ == nullptr) return;
  (previous_ != nullptr ? previous_->next_ : owner_->first_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  owner_ = nullptr;
  next_ = previous_ = nullptr;
}

}  // namespace troupe::net
