// SPDX-License-Identifier: Apache-2.0
#include "net/http_date.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <ctime>

namespace troupe::net {
namespace {

constexpr std::array<std::string_view, 7> weekday_names = {"Sun", "Mon", "Tue", "Wed",
                                                           "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> month_names = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// The texts have room for the years 1970 to 9999; what lies beyond is shown as the first or last
// second, as in nginx.
constexpr std::int64_t last_second = 253402300799;

// No gmtime and timegm: they take the C library's lock of time zones.
struct moment {
  std::chrono::year_month_day date;
  unsigned weekday;
  std::int64_t second;  ///< Of the day.
};

moment split(std::int64_t seconds) noexcept {
  using namespace std::chrono;
  const sys_seconds time{std::chrono::seconds{std::clamp<std::int64_t>(seconds, 0, last_second)}};
  const sys_days day = floor<days>(time);
  return {year_month_day{day}, weekday{day}.c_encoding(), (time - day).count()};
}

char* put(char* out, std::string_view text) noexcept {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* put_two(char* out, std::int64_t number) noexcept {
  *out++ = static_cast<char>('0' + number / 10 % 10);
  *out++ = static_cast<char>('0' + number % 10);
  return out;
}

char* put_four(char* out, std::int64_t number) noexcept {
  return put_two(put_two(out, number / 100), number);
}

// "Thu, 18 Nov 2010 11:27:35 GMT" with the separator of the date's parts.
char* put_date(char* out, std::int64_t seconds, char separator, bool short_years) noexcept {
  const moment at = split(seconds);
  const int year = int{at.date.year()};
  out = put(out, weekday_names[at.weekday]);
  out = put(out, ", ");
  out = put_two(out, unsigned{at.date.day()});
  *out++ = separator;
  out = put(out, month_names[unsigned{at.date.month()} - 1]);
  *out++ = separator;
  out = short_years && year <= 2037 ? put_two(out, year) : put_four(out, year);
  *out++ = ' ';
  out = put_two(out, at.second / 3600);
  *out++ = ':';
  out = put_two(out, at.second / 60 % 60);
  *out++ = ':';
  out = put_two(out, at.second % 60);
  return put(out, " GMT");
}

/// Takes digits off the front; -1 if there are fewer than `least`.
int take_number(std::string_view& text, int least, int most) {
  int n = 0;
  int count = 0;
  while (count < most && !text.empty() && text.front() >= '0' && text.front() <= '9') {
    n = n * 10 + (text.front() - '0');
    text.remove_prefix(1);
    ++count;
  }
  return count < least ? -1 : n;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

int take_month(std::string_view& text) {
  for (std::size_t i = 0; i < month_names.size(); ++i) {
    if (text.starts_with(month_names[i])) {
      text.remove_prefix(3);
      return static_cast<int>(i);
    }
  }
  return -1;
}

bool take_time(std::string_view& text, std::tm& parts) {
  parts.tm_hour = take_number(text, 2, 2);
  if (!take(text, ':')) return false;
  parts.tm_min = take_number(text, 2, 2);
  if (!take(text, ':')) return false;
  parts.tm_sec = take_number(text, 2, 2);
  return parts.tm_hour >= 0 && parts.tm_hour < 24 && parts.tm_min >= 0 && parts.tm_min < 60 &&
         parts.tm_sec >= 0 && parts.tm_sec < 60;
}

}  // namespace

std::size_t write_http_date(char* out, std::int64_t seconds) noexcept {
  return static_cast<std::size_t>(put_date(out, seconds, ' ', false) - out);
}

std::size_t write_cookie_date(char* out, std::int64_t seconds) noexcept {
  return static_cast<std::size_t>(put_date(out, seconds, '-', true) - out);
}

std::string format_http_date(std::int64_t seconds) {
  char text[longest_http_date];
  return {text, write_http_date(text, seconds)};
}

std::string format_cookie_date(std::int64_t seconds) {
  char text[longest_http_date];
  return {text, write_cookie_date(text, seconds)};
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  std::tm t{};
  // The day of the week says no more than which form it is: a comma or a space follows it.
  const auto day_end = text.find_first_of(" ,");
  if (day_end == std::string_view::npos) return std::nullopt;
  const bool is_asctime = text[day_end] == ' ';
  text.remove_prefix(day_end + 1);
  while (take(text, ' ')) {
  }
  int year_number = 0;
  if (is_asctime) {  // Sun Nov  6 08:49:37 1994
    t.tm_mon = take_month(text);
    if (t.tm_mon < 0 || !take(text, ' ')) return std::nullopt;
    take(text, ' ');
    t.tm_mday = take_number(text, 1, 2);
    if (!take(text, ' ') || !take_time(text, t) || !take(text, ' ')) return std::nullopt;
    year_number = take_number(text, 4, 4);
  } else {
    t.tm_mday = take_number(text, 2, 2);
    const bool rfc850 = text.starts_with('-');
    const char separator = rfc850 ? '-' : ' ';
    if (!take(text, separator)) return std::nullopt;
    t.tm_mon = take_month(text);
    if (t.tm_mon < 0 || !take(text, separator)) return std::nullopt;
    year_number = rfc850 ? take_number(text, 2, 2) : take_number(text, 4, 4);
    if (rfc850 && year_number >= 0) year_number += year_number < 70 ? 2000 : 1900;
    if (!take(text, ' ') || !take_time(text, t)) return std::nullopt;
    // As in nginx the zone is not read: HTTP has but one.
  }
  if (year_number < 0 || t.tm_mday < 0) return std::nullopt;
  using namespace std::chrono;
  const year_month_day date{year{year_number}, month{static_cast<unsigned>(t.tm_mon + 1)},
                            day{static_cast<unsigned>(t.tm_mday)}};
  if (!date.ok()) return std::nullopt;  // 31 February.
  const sys_seconds time =
      sys_days{date} + hours{t.tm_hour} + minutes{t.tm_min} + seconds{t.tm_sec};
  return time.time_since_epoch().count();
}

}  // namespace troupe::net
