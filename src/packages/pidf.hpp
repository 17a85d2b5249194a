/// A published PIDF document (RFC 3863, 4479) after its check: cut into components that can be
/// put into another document as they are.
///
/// A fragment is a place in the bytes. It knows which declarations of the root it needs and takes them
/// along, so that fragments of documents with clashing prefixes go together (PIDF-SER-1). A document that
/// cannot be cut as it stands is written anew first (pidf_tidy.hpp).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include <presence/body.hpp>
#include <presence/event_package.hpp>
#include <presence/options.hpp>
#include <presence/result.hpp>
#include <presence/time.hpp>

#include "../xml.hpp"
#include "digest.hpp"

namespace presence::pidf {

inline constexpr std::string_view media_type = "application/pidf+xml";
inline constexpr std::string_view pidf_uri = "urn:ietf:params:xml:ns:pidf";
inline constexpr std::string_view model_uri = "urn:ietf:params:xml:ns:pidf:data-model";
inline constexpr std::string_view rpid_uri = "urn:ietf:params:xml:ns:pidf:rpid";

/// What a child of `presence` is, in the order of the schema; the last three mix freely.
enum class component : std::uint8_t { tuple, note, person, device, foreign };
constexpr bool has_id(component kind) noexcept { return kind != component::note && kind != component::foreign; }

/// A range of the published bytes.
struct range {
  std::uint32_t begin = 0;
  std::uint32_t size = 0;
};

/// One child of `presence`, ready to be written. There are many: 40 bytes (PF4).
struct fragment {
  std::uint64_t meaning = 0;    ///< digest, id included
  std::uint64_t inherited = 0;  ///< bit i: needs heritage i of its document
  std::uint32_t begin = 0;      ///< the text
  std::uint32_t head = 0;       ///< behind the name in the start tag: what is inherited goes here
  std::uint32_t end = 0;
  std::uint32_t id = 0;         ///< where the id is in the text
  std::uint32_t id_size : 28 = 0;  ///< 0: a component without an id
  component kind : 3 = component::foreign;
  bool open : 1 = false;        ///< a tuple that is open
  /// Under which id it was composed: 0 never yet, 1 its own, n > 1 the fresh id number n (CMP-3).
  /// Kept so that it stays the same when the publication it collided with has gone. The one thing
  /// about a document that changes after its check; an engine has one caller at a time.
  mutable std::uint32_t standing = 0;
};

/// What one person element says about the sphere, and when.
struct sphere_claim {
  instant from, until;
  std::string value;
};

/// What a policy that chooses one publication goes by (V04).
struct prominence {
  bool seen = false;       ///< anything of it
  bool open = false;       ///< some tuple is open
  std::uint32_t rank = 0;  ///< of the most important word it says; 0: none
};

/// What of a document presence rules can choose by and let pass, found at its check, so that a view
/// reads no XML (PF7).
struct outline {
  /// What a part needs to be shown: bit n for shown_attribute n, then these. All of them are needed.
  static constexpr std::uint32_t input_bare = 1U << 16, input_thresholds = 1U << 17, input_full = 1U << 18;
  static constexpr std::uint32_t unknown = 1U << 19;      ///< the permission for `name`
  static constexpr std::uint32_t everything = 1U << 20;   ///< what nobody has a name for: all attributes
  static constexpr std::uint32_t declaration = 1U << 21;  ///< that a part which is shown needs bit `name` of `inherited`
  // never left out, but replaced:
  static constexpr std::uint32_t id = 1U << 22;
  static constexpr std::uint32_t device_id = 1U << 23;    ///< of a device, unless the true one may be shown

  /// A range of a fragment's text, and what it says. What is in no part is shown to nobody through a view.
  struct part {
    std::uint64_t meaning = 0;    ///< 0: belongs to a part beside it
    std::uint64_t inherited = 0;  ///< as fragment::inherited; from above, declarations inside of the fragment
    std::uint32_t begin = 0, end = 0;
    std::uint32_t needs = 0;
    std::uint32_t name = 0;  ///< of `names` if `needs` has `unknown`
  };
  /// A value that components are chosen by, as it reads.
  struct fact {
    enum class of : std::uint8_t { class_, contact, device_id } what = of::class_;
    std::string value;
  };
  /// The outline of one fragment. A component is its name and then parts; anything else is one part.
  struct entry {
    std::uint64_t meaning = 0;    ///< of the name
    std::uint64_t inherited = 0;  ///< by the name
    std::uint64_t own = 0;        ///< bits that are declarations inside of the fragment
    std::uint32_t parts = 0, parts_end = 0;
    std::uint32_t facts = 0, facts_end = 0;
  };

  /// An important word, where it is said, and its rank (V04).
  struct word {
    std::uint32_t fragment, part, rank;
  };

  std::vector<part> parts;
  std::vector<fact> facts;
  std::vector<word> words;
  std::vector<entry> entries;  ///< one for each fragment
  std::vector<std::pair<std::string, std::string>> names;  ///< namespaces and local names

  std::span<const part> parts_of(const entry& e) const noexcept {
    return std::span{parts}.subspan(e.parts, e.parts_end - e.parts);
  }
  std::span<const fact> facts_of(const entry& e) const noexcept {
    return std::span{facts}.subspan(e.facts, e.facts_end - e.facts);
  }
};

/// Memory for an object and, behind it, for its arrays: one block for all (PF4). For std::allocate_shared.
struct room_behind {
  std::size_t size;
  std::byte* begin = nullptr;  ///< when it is allocated

  template <class T>
  struct allocator {
    using value_type = T;
    room_behind* room;  // looked at when it allocates, and never again
    explicit allocator(room_behind& r) noexcept : room{&r} {}
    template <class U>
    allocator(const allocator<U>& other) noexcept : room{other.room} {}
    T* allocate(std::size_t n) {
      T* const made = static_cast<T*>(::operator new(n * sizeof(T) + room->size));
      room->begin = reinterpret_cast<std::byte*>(made + n);
      return made;
    }
    void deallocate(T* at, std::size_t) noexcept { ::operator delete(at); }
    friend bool operator==(const allocator&, const allocator&) noexcept { return true; }
  };
};

class checked_document final : public parsed_document {
 public:
  /// What most documents do not have.
  struct rare {
    std::vector<sphere_claim> spheres;
    std::unique_ptr<const outline> outlined;
    body untidied;  ///< as published, where `text` is not
  };

  /// With so many fragments and declarations, which are filled in by who makes it.
  static std::shared_ptr<checked_document> with(std::uint32_t fragments, std::uint32_t heritage) {
    room_behind room{fragments * sizeof(fragment) + heritage * sizeof(range)};
    const auto made = std::allocate_shared<checked_document>(room_behind::allocator<checked_document>{room});
    made->fragments_ = reinterpret_cast<fragment*>(room.begin);
    made->count_ = fragments;
    std::uninitialized_default_construct_n(made->fragments_, fragments);
    std::uninitialized_default_construct_n(made->heritage_begin(), heritage);
    return made;
  }

  /// With fresh ids, which stay for the life of the publication: as published, and behind it which components have them.
  body stored() const override;
  std::optional<std::uint64_t> kept() const override;

  /// A declaration of the root as text; an empty range stands for xmlns="".
  std::string_view heritage(std::size_t i) const noexcept {
    const range& r = heritage_begin()[i];
    return r.size == 0 ? std::string_view{"xmlns=\"\""} : text.bytes().substr(r.begin, r.size);
  }
  /// Appends the declarations of a set; bits as of fragment::inherited.
  void append_heritage(std::uint64_t set, std::string& out) const {
    for (; set != 0; set &= set - 1) (out += ' ') += heritage(static_cast<std::size_t>(std::countr_zero(set)));
  }
  std::size_t heritage_size(std::uint64_t set) const noexcept {
    std::size_t size = 0;
    for (; set != 0; set &= set - 1) size += 1 + heritage(static_cast<std::size_t>(std::countr_zero(set))).size();
    return size;
  }
  /// The fragments, by kind and then as published.
  std::span<const fragment> fragments() const noexcept { return {fragments_, count_}; }
  std::string_view id_of(const fragment& f) const noexcept { return text.bytes().substr(f.id, f.id_size); }
  std::span<const sphere_claim> spheres() const noexcept {
    return rare_ ? std::span<const sphere_claim>{rare_->spheres} : std::span<const sphere_claim>{};
  }
  /// Null unless offered_document::through_views was set at the check.
  const outline* outlined() const noexcept { return rare_ ? rare_->outlined.get() : nullptr; }

  /// Whether the text is also what the publication alone is composed to for this entity: then it is not written again.
  bool stands_for(std::string_view resource) const noexcept {
    const std::string_view all = text.bytes();
    return entity != 0 && settled && all.substr(entity, resource.size()) == resource &&
           all[entity + resource.size()] == all[entity - 1];
  }

  body text;                     ///< as published, or tidied; fragments are places in it
  std::uint32_t entity = 0;      ///< where it is in a text that nothing is to be changed about; 0: something is
  mutable bool settled = false;  ///< every fragment goes under its own id
  prominence whole{.seen = true};

 private:
  friend class checker;
  range* heritage_begin() const noexcept { return reinterpret_cast<range*>(fragments_ + count_); }

  std::uint32_t count_ = 0;
  fragment* fragments_ = nullptr;  // in the same block, and behind them the heritage
  std::unique_ptr<const rare> rare_;
};

/// dynamic_cast for the end of a line of classes: one comparison.
inline const checked_document* as_checked(const parsed_document* d) noexcept {
  return d != nullptr && typeid(*d) == typeid(checked_document) ? static_cast<const checked_document*>(d) : nullptr;
}

/// Whether fragments go into the part of the document where kinds mix.
constexpr int place_of(component kind) noexcept {
  return kind == component::tuple ? 0 : kind == component::note ? 1 : 2;
}

/// Checks the document and cuts it up; refuses with 400 what is malformed (413: too long, 415: not
/// in UTF-8). `words`: presence_options::words.
result<document, refusal> check(const offered_document& offer, std::span<const std::string> words);

}  // namespace presence::pidf
