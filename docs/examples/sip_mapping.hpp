/// SIP messages as Sofia-SIP parses them, into the engine's values and back. Knows no sockets, no
/// transactions and no time. With another SIP stack, this is the file to write anew.
///
/// Views in the values point into the message or into the `su_home_t` that is passed along; both
/// must outlive the engine's call, and nothing need outlive it longer.
#pragma once

#include <sofia-sip/msg_mclass.h>
#include <sofia-sip/nta.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/sip_util.h>
#include <sofia-sip/su_string.h>
#include <sofia-sip/url.h>

#include <cstring>
#include <optional>
#include <presence/presence.hpp>
#include <string>
#include <string_view>

namespace sip {

/// A place for the text made of one message; gone with the scope.
class arena {
 public:
  arena() { su_home_init(home_); }
  ~arena() { su_home_deinit(home_); }
  arena(const arena&) = delete;
  arena& operator=(const arena&) = delete;
  operator su_home_t*() { return home_; }

 private:
  su_home_t home_[1] = {};
};

inline std::string_view view(const char* text) { return text ? std::string_view{text} : std::string_view{}; }

/// A copy of `text` that lives as long as `home`.
inline std::string_view kept(su_home_t* home, const std::string& text) { return view(su_strdup(home, text.c_str())); }

/// The value of a header as text; several header fields of one name are joined with a comma, as
/// RFC 3261 section 7.3.1 allows. Empty when the header is absent.
template <class Header>
std::string_view value(su_home_t* home, const Header* header) {
  const char* joined = nullptr;
  for (auto h = reinterpret_cast<const sip_header_t*>(header); h; h = h->sh_next) {
    const char* one = sip_header_as_string(home, h);
    joined = joined ? su_sprintf(home, "%s, %s", joined, one ? one : "") : one;
  }
  return view(joined);
}

inline std::string_view uri(su_home_t* home, const url_t* url) {
  return view(url ? url_as_string(home, url) : nullptr);
}

/// The sender as From names him, where the host has proven that From is true: his address, his display
/// name, and whether he wants it kept from others (RFC 3323).
inline presence::identity trusted_sender(su_home_t* home, const sip_t& sip) {
  presence::identity who{.uri = uri(home, sip.sip_from->a_url), .method = "trusted"};
  who.display_name = view(msg_unquote_dup(home, sip.sip_from->a_display ? sip.sip_from->a_display : ""));
  if (const sip_privacy_t* privacy = sip.sip_privacy)
    who.anonymous = msg_params_find(privacy->priv_values, "id") || msg_params_find(privacy->priv_values, "user");
  return who;
}

// --- requests -------------------------------------------------------------------------------------

/// What the message itself cannot tell: who the sender was proven to be, and our address.
struct surroundings {
  presence::identity who = {};
  std::string_view local_contact = {};
};

inline presence::content_view content(su_home_t* home, const sip_t* sip) {
  presence::content_view c;
  c.type = value(home, sip->sip_content_type);
  c.encoding = value(home, sip->sip_content_encoding);
  c.optional = sip->sip_content_disposition && sip->sip_content_disposition->cd_optional;
  if (sip->sip_payload) c.bytes = {sip->sip_payload->pl_data, sip->sip_payload->pl_len};
  if (sip->sip_content_length) c.declared_length = sip->sip_content_length->l_length;
  return c;
}

inline presence::expires_value expires(su_home_t* home, const sip_t* sip) {
  if (!sip->sip_expires) return {};
  return value(home, sip->sip_expires);
}

inline presence::publish_request publish(su_home_t* home, const sip_t* sip, const surroundings& s) {
  return {.resource = uri(home, sip->sip_request->rq_url),
          .event = value(home, sip->sip_event),
          .expires = expires(home, sip),
          .sip_if_match = value(home, sip->sip_if_match),
          .content = content(home, sip),
          .require = value(home, sip->sip_require),
          .who = s.who};
}

inline presence::subscribe_request subscribe(su_home_t* home, const sip_t* sip, const surroundings& s) {
  presence::subscribe_request r{
      .resource = uri(home, sip->sip_request->rq_url),
      .event = value(home, sip->sip_event),
      .expires = expires(home, sip),
      .call_id = view(sip->sip_call_id->i_id),
      .from_tag = view(sip->sip_from->a_tag),
      .to_tag = view(sip->sip_to->a_tag),
      .from_uri = uri(home, sip->sip_from->a_url),
      .to_uri = uri(home, sip->sip_to->a_url),
      .record_route = value(home, sip->sip_record_route),
      .cseq = sip->sip_cseq->cs_seq,
      .require = value(home, sip->sip_require),
      .supported = value(home, sip->sip_supported),
      .content = content(home, sip),
      .who = s.who,
      .secure = sip->sip_request->rq_url->url_type == url_sips,
      .local_contact = s.local_contact,
      .user_agent = value(home, sip->sip_user_agent),
  };
  // Only the URI of the one Contact counts. Two of them go in as they are and come out as 400.
  if (const sip_contact_t* contact = sip->sip_contact) {
    r.contact = contact->m_next ? value(home, contact) : uri(home, contact->m_url);
  }
  if (sip->sip_accept) r.accept = value(home, sip->sip_accept);  // an empty Accept is not an absent one
  return r;
}

inline presence::options_request options(su_home_t* home, const sip_t* sip, const surroundings& s) {
  return {.resource = uri(home, sip->sip_request->rq_url),
          .require = value(home, sip->sip_require),
          .who = s.who};
}

/// Why a request must not reach the engine: the stack leaves a header out that it could not read,
/// and lets the request pass. Null: all is well.
inline const char* broken_header(const sip_t* sip) {
  for (auto e = reinterpret_cast<const sip_header_t*>(sip->sip_error); e; e = e->sh_next) {
    const std::string_view name =
        view(e->sh_class == sip_error_class ? e->sh_error->er_name : e->sh_class->hc_name);
    if (name == "Accept") return "Bad Accept Header";
    if (name == "Record-Route") return "Bad Record-Route Header";
  }
  return nullptr;
}

// --- requests that cannot be read -----------------------------------------------------------------

/// The message class to give to the agent. Sofia-SIP answers what it cannot parse with 400, but a
/// request whose first line is broken (a blank in the Request-URI, say) it drops in silence. Here
/// such a line is replaced by one that passes the parser and fails the check that follows, because
/// its method is not the one in CSeq; that check answers 400.
inline const msg_mclass_t* forgiving_message_class() {
  static const msg_hclass_s first_line = [] {
    msg_hclass_s c = *sip_request_class;
    c.hc_parse = [](su_home_t* home, msg_header_t* h, char* line, isize_t size) -> issize_t {
      const bool ack = std::strncmp(line, "ACK ", 4) == 0;  // nobody answers an ACK
      if (const issize_t parsed = sip_request_d(home, h, line, size); parsed >= 0 || ack) return parsed;
      char* stand_in = su_strdup(home, "UNREADABLE sip:invalid SIP/2.0");
      return sip_request_d(home, h, stand_in, static_cast<isize_t>(std::strlen(stand_in)));
    };
    return c;
  }();
  static const msg_mclass_t* const with_it = [] {
    msg_mclass_t* c = msg_mclass_clone(sip_default_mclass(), 0, msg_mclass_copy);
    c->mc_request->hr_class = &first_line;
    return c;
  }();
  return with_it;
}

// --- replies --------------------------------------------------------------------------------------

/// Sends `r` as the answer to `request`. The stack copies Via, From, To, Call-ID and CSeq.
inline void send_reply(nta_incoming_t* request, const presence::reply& r) {
  const auto number = [](const std::optional<std::uint32_t>& n) { return n ? std::to_string(*n) : ""; };
  const std::string phrase{r.reason.empty() ? presence::reason_phrase(r.status) : r.reason};
  const std::string expires = number(r.expires);
  const std::string min_expires = number(r.min_expires);
  const std::string retry_after = number(r.retry_after);
  const std::string contact = r.dialog ? '<' + std::string{r.dialog.local_contact()} + '>' : "";
  // A null string means "no such header".
  const auto given = [](const std::string& text) { return text.empty() ? nullptr : text.c_str(); };

  // The dialog's To tag comes from the engine: NOTIFYs will carry it as their From tag.
  if (r.dialog) nta_incoming_tag(request, std::string{r.dialog.local_tag()}.c_str());
  nta_incoming_treply(request, r.status, phrase.c_str(),                     //
                      SIPTAG_CONTACT_STR(given(contact)),                    //
                      SIPTAG_EXPIRES_STR(given(expires)),                    //
                      SIPTAG_MIN_EXPIRES_STR(given(min_expires)),            //
                      SIPTAG_RETRY_AFTER_STR(given(retry_after)),            //
                      SIPTAG_ETAG_STR(given(r.etag)),                        //
                      SIPTAG_ALLOW_STR(given(r.allow)),                      //
                      SIPTAG_ALLOW_EVENTS_STR(given(r.allow_events)),        //
                      SIPTAG_ACCEPT_STR(given(r.accept)),                    //
                      SIPTAG_ACCEPT_ENCODING_STR(given(r.accept_encoding)),  //
                      SIPTAG_UNSUPPORTED_STR(given(r.unsupported)),          //
                      SIPTAG_REQUIRE_STR(given(r.require)),                  //
                      SIPTAG_SERVER_STR("presence-server"),                  //
                      TAG_END());
}

// --- outcomes of NOTIFYs ----------------------------------------------------------------------------

/// What the engine wants to hear of a NOTIFY: the status of the answer, 0 without one.
struct outcome {
  int status = 0;
  std::optional<presence::seconds> retry_after = {};
};

/// `sip` is the answer, or what the stack makes when nobody answered or there was no way there.
inline outcome notify_outcome(const sip_t* sip) {
  if (!sip || nta_sip_is_internal(sip)) return {};
  outcome o{.status = sip->sip_status->st_status};
  // a challenge: a host with credentials would repeat the NOTIFY and report that one; this has none
  if (o.status == 401 || o.status == 407) o.status = 403;
  if (sip->sip_retry_after) o.retry_after = presence::seconds{sip->sip_retry_after->af_delta};
  return o;
}

}  // namespace sip
