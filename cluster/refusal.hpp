// SPDX-License-Identifier: Apache-2.0
//
// Why something was refused, in words for people: the error type of everything in cluster/.
//
// Source   docs/architecture.md, "Releases as bytes".
// Thread   any; a value.
// Called   by all of cluster/.
#pragma once

#include <string>
#include <string_view>

namespace troupe::cluster {

enum class refusal_errc {
  malformed = 1,  ///< Bytes that are no manifest or bundle.
  too_large,      ///< Beyond a limit.
  bad_path,       ///< A path that no release can hold, or a link that leads out.
  bad_kind,       ///< Neither a file nor a folder.
  unstable,       ///< Changes while it is read.
  missing,        ///< A blob, file or folder that is not there.
  damaged,        ///< A blob whose bytes are not those of its name.
  unsupported,    ///< Another version of the protocol, an unknown kind of message.
  denied,         ///< Not genuine, or the signer may not.
  conflict,       ///< Does not fit what is there: a parent, an expected release, a step.
  overtaken,      ///< Somebody else was first.
  not_leader,     ///< Another controller leads.
  io,             ///< The disk or the system said no; `reason` names the call and the errno.
};

struct refusal {
  refusal_errc errc = refusal_errc::io;
  std::string reason;  ///< Whole: it names the file where there is one.
  std::string
      file;  ///< As the app names it (relative), or absolute below the data folder; may be empty.
};

/// `open "/x" failed (2: No such file or directory)`, nginx's form, as a refusal of `io`.
refusal io_refusal(std::string_view call, const std::string& path, int error_number);

}  // namespace troupe::cluster
