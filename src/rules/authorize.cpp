// Rules documents in front of a package: the cache of documents that were read, and what they decide.
#include <map>

#include <presence/rules.hpp>

#include "../packages/pidf_view.hpp"

namespace presence {

namespace {

/// Documents by presentity, in their read form. A tree: no hash an outsider could aim at.
class known_rules {
 public:
  explicit known_rules(const rules_options& how) : how_{how} {}

  /// There is no document any more: what it said counts no longer.
  void forget(std::string_view resource) {
    if (const auto at = entries_.find(resource); at != entries_.end()) entries_.erase(at);
  }

  /// The rules in force; null: none that could ever be read.
  std::shared_ptr<const ruleset> of(std::string_view resource, const std::string& text) {
    auto at = entries_.find(resource);
    if (at != entries_.end() && at->second.text == text) return at->second.rules;
    auto read = ruleset::parse(text, how_.limits);
    if (at == entries_.end()) {
      if (entries_.size() >= std::max<std::size_t>(how_.cached, 1)) entries_.erase(entries_.begin());
      at = entries_.emplace(std::string{resource}, entry{}).first;
    }
    at->second.text = text;
    if (read) at->second.rules = std::make_shared<const ruleset>(*std::move(read));
    return at->second.rules;  // the last good one if this one cannot be read (POL-4745-bad-1)
  }

 private:
  struct entry {
    std::string text;
    std::shared_ptr<const ruleset> rules;
  };
  rules_options how_;
  std::map<std::string, entry, std::less<>> entries_;
};

}  // namespace

void authorize_by_rules(event_package& package, rules_source source, rules_options how) {
  const bool has_views = package.name == "presence";
  package.req_auth = true;
  package.rules_document = std::move(source);
  // each copy of the hook has documents of its own: engines of several threads share none
  auto by_rules = [how, has_views, known = known_rules{how}](const authorization_query& q) mutable {
    if (q.rules == nullptr) {
      known.forget(q.resource);
      return authorization{how.without_document};
    }
    const auto rules = known.of(q.resource, *q.rules);
    if (!rules) return authorization{std::min(how.without_document, sub_handling::confirm)};
    granted_permissions granted = rules->evaluate({q.watcher, q.sphere, q.now});
    authorization answer{granted.allowed.handling};
    answer.until = granted.until;
    answer.by_sphere = granted.by_sphere;
    const bool whole = granted.allowed.everything() || (how.lenient && granted.unlimited);
    if (has_views && !whole && answer.handling >= sub_handling::polite_block)
      answer.view = std::make_shared<pidf::rules_view>(std::move(granted.allowed));
    // limits that cannot be kept are not passed over: nothing is shown (POL-TR-27)
    if (!has_views && !whole && !granted.unlimited) answer.handling = std::min(answer.handling, sub_handling::polite_block);
    return answer;
  };
  // what the package says itself about strangers is not opened by rules that cannot see it (SEC-PKG-1, SEC-PKG-4)
  package.authorize = [by_rules = std::move(by_rules), own = std::move(package.authorize)](const authorization_query& q) mutable {
    authorization answer = by_rules(q);
    if (!own) return answer;
    authorization also = own(q);
    answer.handling = std::min(answer.handling, also.handling);
    if (!answer.view) answer.view = std::move(also.view);
    if (also.until) answer.until = std::min(answer.until.value_or(never), *also.until);
    answer.by_sphere = answer.by_sphere || also.by_sphere;
    return answer;
  };
}

}  // namespace presence
