/// The operations of PUBLISH as a pure function (RFC 3903 sections 4.1 and 6): what a request asks
/// for, decided without storage, clock or package.
#pragma once

#include <optional>
#include <variant>

#include <presence/requests.hpp>
#include <presence/time.hpp>

namespace presence {

/// How long something may live: `shortest` <= `standard` <= `longest` need not hold; the longest wins.
struct expiry_bounds {
  seconds shortest{60};    ///< 0: nothing is too short
  seconds longest{3600};
  seconds standard{3600};  ///< when the request does not say
};

/// The lifetime granted to a request that is not too short: never above what was asked
/// (EVT-3.1.1-2, PUB-6.4-2).
constexpr seconds granted(std::optional<seconds> asked, const expiry_bounds& bounds) noexcept {
  const seconds wanted = asked.value_or(bounds.standard);
  return wanted < bounds.longest ? wanted : bounds.longest;
}

/// The Expires told to a publisher: `offset` less than it has, so that it refreshes in time, but
/// never below 1 for something that lives (P27, PUB-EXP-2, defect D2-4).
constexpr seconds advertised(seconds lifetime, seconds offset) noexcept {
  if (lifetime <= seconds{0}) return seconds{0};
  const seconds told = lifetime - (offset > seconds{0} ? offset : seconds{0});
  return told < seconds{1} ? seconds{1} : told;
}

/// The three questions that tell what a PUBLISH is, and what is known about the tag it names.
struct publish_facts {
  bool names_tag = false;        ///< SIP-If-Match is there
  bool tag_is_live = false;      ///< it names a publication of this resource and package
  bool brings_body = false;
  bool empty_allowed = false;    ///< the package takes an initial PUBLISH without a body
  std::optional<seconds> asked = {};
};

namespace publishing {
struct created { seconds lifetime; };    ///< a new publication
struct discarded {};                     ///< a new publication that lapses at once: nothing is stored
struct refreshed { seconds lifetime; };  ///< same document, new lifetime
struct modified { seconds lifetime; };   ///< new document, new lifetime
struct removed {};
struct refused { int status; };          ///< 400, 412 or 423
}  // namespace publishing

using publish_decision =
    std::variant<publishing::created, publishing::discarded, publishing::refreshed,
                 publishing::modified, publishing::removed, publishing::refused>;

/// Decides a PUBLISH whose package is known.
///
///   tag   body  time > 0     -> operation            RFC 3903
///   no    yes   yes             created              section 4.1
///   no    yes   no              discarded            section 6 step 5 (PUB-6.5-6, defect D2-2)
///   no    no    any             refused 400          section 6 step 5 (PUB-6.5-4), unless the package allows it
///   live  no    yes             refreshed            section 4.3
///   live  yes   yes             modified             section 4.4
///   live  any   no              removed              section 4.5 (a body is ignored: PUB-6.5-7)
///   dead  any   any             refused 412          section 6 step 3, before 423 (PUB-6.4-4)
///   too short a time            refused 423          section 6 step 4, before anything about bodies
constexpr publish_decision decide(const publish_facts& facts, const expiry_bounds& bounds) noexcept {
  if (facts.names_tag && !facts.tag_is_live) return publishing::refused{412};
  if (facts.asked && *facts.asked > seconds{0} && *facts.asked < bounds.shortest)
    return publishing::refused{423};
  if (!facts.names_tag && !facts.brings_body && !facts.empty_allowed) return publishing::refused{400};
  const seconds lifetime = granted(facts.asked, bounds);
  if (lifetime == seconds{0}) {
    if (facts.names_tag) return publishing::removed{};
    return publishing::discarded{};
  }
  if (!facts.names_tag) return publishing::created{lifetime};
  if (facts.brings_body) return publishing::modified{lifetime};
  return publishing::refreshed{lifetime};
}

}  // namespace presence
