#include "store/sqlite_store.h"

#include "base/wire.h"
#include "store/database.h"

namespace saw::store {
namespace {

// Step n brings a file from version n to n + 1. Released steps are never edited.
constexpr const char* kMigrations[] = {
    R"sql(
  CREATE TABLE workspaces (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, desired INTEGER NOT NULL, sandbox TEXT NOT NULL,
    spec_digest TEXT NOT NULL, profile TEXT NOT NULL, image TEXT NOT NULL,
    policy_yaml TEXT NOT NULL, policy_file TEXT NOT NULL, policy_name TEXT NOT NULL, policy_digest TEXT NOT NULL,
    mounts BLOB NOT NULL, memory_bytes INTEGER NOT NULL, pids INTEGER NOT NULL, cpu_millis INTEGER NOT NULL,
    ca_certificate TEXT NOT NULL, ca_key_sealed BLOB NOT NULL, placeholders BLOB NOT NULL, created INTEGER NOT NULL,
    UNIQUE (owner, name)) STRICT;
  CREATE TABLE sessions (
    id TEXT PRIMARY KEY, workspace TEXT NOT NULL REFERENCES workspaces(id) ON DELETE CASCADE, name TEXT NOT NULL,
    desired INTEGER NOT NULL, sandbox TEXT NOT NULL, created INTEGER NOT NULL, UNIQUE (workspace, name)) STRICT;
  CREATE TABLE agents (
    id TEXT PRIMARY KEY, sponsor TEXT NOT NULL, name TEXT NOT NULL, purpose TEXT NOT NULL, state TEXT NOT NULL,
    version INTEGER NOT NULL, expires INTEGER NOT NULL, created INTEGER NOT NULL, UNIQUE (sponsor, name)) STRICT;
  CREATE TABLE sponsors (id TEXT PRIMARY KEY, enabled INTEGER NOT NULL) STRICT;
  CREATE TABLE reviews (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, workspace TEXT NOT NULL, agent TEXT NOT NULL, sponsor TEXT NOT NULL,
    session TEXT NOT NULL, call TEXT NOT NULL, trace TEXT NOT NULL, method TEXT NOT NULL, scheme TEXT NOT NULL, host TEXT NOT NULL,
    target TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL, digest TEXT NOT NULL, policy_digest TEXT NOT NULL,
    preview TEXT NOT NULL, port INTEGER NOT NULL, body_bytes INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL,
    decided INTEGER NOT NULL, decided_by TEXT NOT NULL, why TEXT NOT NULL) STRICT;
  CREATE INDEX reviews_by_state ON reviews (state, created);
  CREATE INDEX reviews_by_time ON reviews (created);
  CREATE TABLE secrets (
    owner TEXT NOT NULL, name TEXT NOT NULL, sealed BLOB NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL,
    updated INTEGER NOT NULL, PRIMARY KEY (owner, name)) STRICT;
  CREATE TABLE revoked_credentials (id TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT;
  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
)sql",
    // The shells and interpreters that wait, started, for a workspace's calls.
    R"sql(
  ALTER TABLE workspaces ADD COLUMN warm BLOB NOT NULL DEFAULT x'00000000';
)sql",
    R"sql(
  ALTER TABLE reviews ADD COLUMN kind TEXT NOT NULL DEFAULT 'request';
  ALTER TABLE reviews ADD COLUMN object TEXT NOT NULL DEFAULT '';
)sql",
    R"sql(
  ALTER TABLE workspaces ADD COLUMN channel TEXT NOT NULL DEFAULT '';
  CREATE TABLE channels (
    name TEXT PRIMARY KEY, revision INTEGER NOT NULL, version TEXT NOT NULL, release TEXT NOT NULL, files BLOB NOT NULL,
    revocations TEXT NOT NULL, activated INTEGER NOT NULL) STRICT;
)sql",
    R"sql(
  CREATE TABLE delegations (
    id TEXT PRIMARY KEY, sponsor TEXT NOT NULL, workspace TEXT NOT NULL, agent TEXT NOT NULL, parent TEXT NOT NULL,
    record TEXT NOT NULL, created INTEGER NOT NULL) STRICT;
  CREATE TABLE revocations (
    kind TEXT NOT NULL, id TEXT NOT NULL, by TEXT NOT NULL, why TEXT NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (kind, id)) STRICT;
  INSERT INTO revocations SELECT 'credential', id, '', '', until FROM revoked_credentials;
  DROP TABLE revoked_credentials;
)sql"};
constexpr int64_t kVersion = std::size(kMigrations);

struct Mounts {
  std::vector<Mount> list;
  template <class A> void members(A& a) { a(list); }
};
struct Warm {
  std::vector<std::string> list;
  template <class A> void members(A& a) { a(list); }
};
struct Placeholders {
  std::map<std::string, std::string> map;
  template <class A> void members(A& a) { a(map); }
};

struct Files {
  std::map<std::string, std::string> map;
  template <class A> void members(A& a) { a(map); }
};

#define WORKSPACE_COLUMNS                                                                                   \
  "id, owner, name, desired, sandbox, spec_digest, profile, image, policy_yaml, policy_file, policy_name, " \
  "policy_digest, "                                                                                         \
  "mounts, memory_bytes, pids, cpu_millis, ca_certificate, ca_key_sealed, placeholders, created, warm, "    \
  "channel"
#define REVIEW_COLUMNS                                                                                       \
  "id, state, workspace, agent, sponsor, session, call, trace, method, scheme, host, target, rule, reason, " \
  "digest, "                                                                                                 \
  "policy_digest, preview, port, body_bytes, created, expires, decided, decided_by, why, kind, object"

#define DELEGATION_COLUMNS "id, sponsor, workspace, agent, parent, record, created"

Delegation to_delegation(const Row& row) {
  Delegation d;
  row.into(d.id, d.sponsor, d.workspace, d.agent, d.parent, d.record, d.created);
  return d;
}

Result<Workspace> to_workspace(const Row& row) {
  Workspace w;
  std::string mounts, placeholders, warm;
  row.into(w.id, w.owner, w.name, w.desired, w.sandbox, w.spec_digest, w.profile, w.image, w.policy_yaml,
           w.policy_file, w.policy_name, w.policy_digest, mounts, w.memory_bytes, w.pids, w.cpu_millis,
           w.ca_certificate, w.ca_key_sealed, placeholders, w.created, warm, w.channel);
  w.warm = SAW_TRY(wire::decode_struct<Warm>(warm), "warm runtimes of workspace " + w.id).list;
  w.mounts = SAW_TRY(wire::decode_struct<Mounts>(mounts), "mounts of workspace " + w.id).list;
  w.placeholders =
      SAW_TRY(wire::decode_struct<Placeholders>(placeholders), "placeholders of workspace " + w.id).map;
  return w;
}

Review to_review(const Row& row) {
  Review r;
  row.into(r.id, r.state, r.workspace, r.agent, r.sponsor, r.session, r.call, r.trace, r.method, r.scheme,
           r.host, r.target, r.rule, r.reason, r.digest, r.policy_digest, r.preview, r.port, r.body_bytes,
           r.created, r.expires, r.decided, r.decided_by, r.why, r.kind, r.object);
  return r;
}

Session to_session(const Row& row) {
  Session s;
  row.into(s.id, s.workspace, s.name, s.desired, s.sandbox, s.created);
  return s;
}

Agent to_agent(const Row& row) {
  Agent a;
  row.into(a.id, a.sponsor, a.name, a.purpose, a.state, a.version, a.expires, a.created);
  return a;
}

Secret to_secret(const Row& row) {
  Secret s;
  row.into(s.owner, s.name, s.sealed, s.version, s.created, s.updated);
  return s;
}

int64_t number(Desired desired) {
  return static_cast<int64_t>(desired);
}

class Sqlite final : public Store {
 public:
  explicit Sqlite(Database db) : db_(std::move(db)) {}

  Result<> migrate() {
    int64_t version = 0;
    SAW_TRY(db_.query("PRAGMA user_version", {}, [&](const Row& row) { version = row.integer(0); }));
    if (version > kVersion)
      return Error::make("store.too_new", "the store has version {}, this program knows {}", version,
                         kVersion);
    for (; version < kVersion; ++version)
      SAW_TRY(db_.script(fmt::format("BEGIN IMMEDIATE; {} PRAGMA user_version={}; COMMIT;",
                                     kMigrations[version], version + 1)));
    return {};
  }

  Result<std::vector<Workspace>> workspaces() override {
    std::vector<Workspace> out;
    Result<> bad;
    SAW_TRY(db_.query("SELECT " WORKSPACE_COLUMNS " FROM workspaces ORDER BY created, id", {},
                      [&](const Row& row) {
                        auto workspace = to_workspace(row);
                        if (workspace)
                          out.push_back(std::move(*workspace));
                        else
                          bad = std::unexpected(std::move(workspace).error());
                      }));
    SAW_TRY(std::move(bad));
    return out;
  }
  Result<> put(const Workspace& w) override {
    const std::string mounts = wire::encode_struct(Mounts{w.mounts}),
                      placeholders = wire::encode_struct(Placeholders{w.placeholders}),
                      warm = wire::encode_struct(Warm{w.warm});
    return db_.run("INSERT INTO workspaces (" WORKSPACE_COLUMNS
                   ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
                   " ON CONFLICT (id) DO UPDATE SET desired = excluded.desired, sandbox = excluded.sandbox,"
                   " policy_yaml = excluded.policy_yaml, policy_file = excluded.policy_file,"
                   " policy_name = excluded.policy_name, policy_digest = excluded.policy_digest,"
                   " placeholders = excluded.placeholders",
                   {w.id,
                    w.owner,
                    w.name,
                    number(w.desired),
                    w.sandbox,
                    w.spec_digest,
                    w.profile,
                    w.image,
                    w.policy_yaml,
                    w.policy_file,
                    w.policy_name,
                    w.policy_digest,
                    Value::blob(mounts),
                    w.memory_bytes,
                    w.pids,
                    w.cpu_millis,
                    w.ca_certificate,
                    Value::blob(w.ca_key_sealed),
                    Value::blob(placeholders),
                    w.created,
                    Value::blob(warm),
                    w.channel});
  }
  Result<> remove_workspace(std::string_view id) override {
    return db_.run("DELETE FROM workspaces WHERE id = ?", {id});
  }

  Result<std::vector<Channel>> channels() override {
    std::vector<Channel> out;
    Result<> bad;
    SAW_TRY(db_.query(
        "SELECT name, revision, version, release, files, revocations, activated FROM channels ORDER BY name",
        {}, [&](const Row& row) {
          Channel c;
          std::string files;
          row.into(c.name, c.revision, c.version, c.release, files, c.revocations, c.activated);
          auto decoded = wire::decode_struct<Files>(files);
          if (!decoded) return void(bad = std::unexpected(std::move(decoded).error()));
          c.files = std::move(decoded->map);
          out.push_back(std::move(c));
        }));
    SAW_TRY(std::move(bad));
    return out;
  }
  // A revision never goes down, whoever asks.
  Result<> put(const Channel& c) override {
    const std::string files = wire::encode_struct(Files{c.files});
    SAW_TRY(
        db_.run("INSERT INTO channels (name, revision, version, release, files, revocations, activated)"
                " VALUES (?,?,?,?,?,?,?) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision,"
                " version = excluded.version, release = excluded.release, files = excluded.files,"
                " revocations = excluded.revocations, activated = excluded.activated"
                " WHERE excluded.revision >= channels.revision",
                {c.name, c.revision, c.version, c.release, Value::blob(files), c.revocations, c.activated}));
    if (db_.changes() != 1)
      return Error::make("store.revision", "channel '{}' has a higher revision than {}", c.name, c.revision);
    return {};
  }

  Result<std::vector<Session>> sessions() override {
    std::vector<Session> out;
    SAW_TRY(
        db_.query("SELECT id, workspace, name, desired, sandbox, created FROM sessions ORDER BY created, id",
                  {}, [&](const Row& row) { out.push_back(to_session(row)); }));
    return out;
  }
  Result<> put(const Session& s) override {
    return db_.run(
        "INSERT INTO sessions (id, workspace, name, desired, sandbox, created) VALUES (?,?,?,?,?,?)"
        " ON CONFLICT (id) DO UPDATE SET desired = excluded.desired, sandbox = excluded.sandbox",
        {s.id, s.workspace, s.name, number(s.desired), s.sandbox, s.created});
  }
  Result<> remove_session(std::string_view id) override {
    return db_.run("DELETE FROM sessions WHERE id = ?", {id});
  }

  Result<std::vector<Agent>> agents() override {
    std::vector<Agent> out;
    SAW_TRY(
        db_.query("SELECT id, sponsor, name, purpose, state, version, expires, created FROM agents ORDER BY "
                  "created, id",
                  {}, [&](const Row& row) { out.push_back(to_agent(row)); }));
    return out;
  }
  Result<std::optional<Agent>> agent(std::string_view id) override {
    return one_agent(
        "SELECT id, sponsor, name, purpose, state, version, expires, created FROM agents WHERE id = ?", {id});
  }
  Result<std::optional<Agent>> agent_named(std::string_view sponsor, std::string_view name) override {
    return one_agent(
        "SELECT id, sponsor, name, purpose, state, version, expires, created FROM agents WHERE sponsor = ? "
        "AND name = ?",
        {sponsor, name});
  }
  Result<> put(const Agent& a) override {
    return db_.run(
        "INSERT INTO agents (id, sponsor, name, purpose, state, version, expires, created) VALUES "
        "(?,?,?,?,?,?,?,?)"
        " ON CONFLICT (id) DO UPDATE SET purpose = excluded.purpose, state = excluded.state, version = "
        "excluded.version,"
        " expires = excluded.expires",
        {a.id, a.sponsor, a.name, a.purpose, a.state, a.version, a.expires, a.created});
  }

  Result<std::optional<Sponsor>> sponsor(std::string_view id) override {
    std::optional<Sponsor> out;
    SAW_TRY(db_.query("SELECT id, enabled FROM sponsors WHERE id = ?", {id},
                      [&](const Row& row) { row.into(out.emplace().id, out->enabled); }));
    return out;
  }
  Result<> put(const Sponsor& s) override {
    return db_.run(
        "INSERT INTO sponsors (id, enabled) VALUES (?,?) ON CONFLICT (id) DO UPDATE SET enabled = "
        "excluded.enabled",
        {s.id, s.enabled ? 1 : 0});
  }

  Result<std::vector<Review>> reviews(const ReviewQuery& q) override {
    std::vector<Review> out;
    SAW_TRY(
        db_.query("SELECT " REVIEW_COLUMNS
                  " FROM reviews WHERE (?1 = '' OR state = ?1) AND (?2 = '' OR workspace = ?2)"
                  " AND (?3 = '' OR sponsor = ?3) AND (?4 = '' OR kind = ?4) ORDER BY created DESC LIMIT ?5",
                  {q.state, q.workspace, q.sponsor, q.kind, uint64_t{q.limit}},
                  [&](const Row& row) { out.push_back(to_review(row)); }));
    return out;
  }
  Result<std::optional<Review>> review(std::string_view id) override {
    std::optional<Review> out;
    SAW_TRY(db_.query("SELECT " REVIEW_COLUMNS " FROM reviews WHERE id = ?", {id},
                      [&](const Row& row) { out = to_review(row); }));
    return out;
  }
  Result<> add(const Review& r) override {
    return db_.run(
        "INSERT INTO reviews (" REVIEW_COLUMNS
        ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        {r.id,      r.state,         r.workspace, r.agent,         r.sponsor,    r.session, r.call,
         r.trace,   r.method,        r.scheme,    r.host,          r.target,     r.rule,    r.reason,
         r.digest,  r.policy_digest, r.preview,   int64_t{r.port}, r.body_bytes, r.created, r.expires,
         r.decided, r.decided_by,    r.why,       r.kind,          r.object});
  }
  Result<bool> transition(const Review& r, std::string_view expected) override {
    SAW_TRY(db_.run(
        "UPDATE reviews SET state = ?, decided = ?, decided_by = ?, why = ? WHERE id = ? AND state = ?",
        {r.state, r.decided, r.decided_by, r.why, r.id, expected}));
    return db_.changes() == 1;
  }

  Result<std::vector<Secret>> secrets(std::string_view owner) override {
    std::vector<Secret> out;
    SAW_TRY(db_.query(
        "SELECT owner, name, sealed, version, created, updated FROM secrets WHERE owner = ? ORDER BY name",
        {owner}, [&](const Row& row) { out.push_back(to_secret(row)); }));
    return out;
  }
  Result<std::optional<Secret>> secret(std::string_view owner, std::string_view name) override {
    std::optional<Secret> out;
    SAW_TRY(db_.query(
        "SELECT owner, name, sealed, version, created, updated FROM secrets WHERE owner = ? AND name = ?",
        {owner, name}, [&](const Row& row) { out = to_secret(row); }));
    return out;
  }
  Result<> put(const Secret& s) override {
    return db_.run(
        "INSERT INTO secrets (owner, name, sealed, version, created, updated) VALUES (?,?,?,?,?,?)"
        " ON CONFLICT (owner, name) DO UPDATE SET sealed = excluded.sealed, version = excluded.version,"
        " updated = excluded.updated",
        {s.owner, s.name, Value::blob(s.sealed), s.version, s.created, s.updated});
  }
  Result<bool> remove_secret(std::string_view owner, std::string_view name) override {
    SAW_TRY(db_.run("DELETE FROM secrets WHERE owner = ? AND name = ?", {owner, name}));
    return db_.changes() == 1;
  }

  Result<std::vector<Delegation>> delegations() override {
    std::vector<Delegation> out;
    SAW_TRY(db_.query("SELECT " DELEGATION_COLUMNS " FROM delegations ORDER BY created, id", {},
                      [&](const Row& row) { out.push_back(to_delegation(row)); }));
    return out;
  }
  Result<std::optional<Delegation>> delegation(std::string_view id) override {
    std::optional<Delegation> out;
    SAW_TRY(db_.query("SELECT " DELEGATION_COLUMNS " FROM delegations WHERE id = ?", {id},
                      [&](const Row& row) { out = to_delegation(row); }));
    return out;
  }
  Result<> add(const Delegation& d) override {
    return db_.run("INSERT INTO delegations (" DELEGATION_COLUMNS ") VALUES (?,?,?,?,?,?,?)",
                   {d.id, d.sponsor, d.workspace, d.agent, d.parent, d.record, d.created});
  }

  Result<std::vector<Revocation>> revocations() override {
    std::vector<Revocation> out;
    SAW_TRY(db_.query("SELECT kind, id, by, why, time FROM revocations ORDER BY time, kind, id", {},
                      [&](const Row& row) {
                        Revocation& r = out.emplace_back();
                        row.into(r.kind, r.id, r.by, r.why, r.time);
                      }));
    return out;
  }
  Result<> add(const Revocation& r) override {
    return db_.run(
        "INSERT INTO revocations (kind, id, by, why, time) VALUES (?,?,?,?,?) ON CONFLICT (kind, id) DO "
        "NOTHING",
        {r.kind, r.id, r.by, r.why, r.time});
  }

  Result<uint64_t> next(std::string_view counter) override {
    uint64_t value = 0;
    SAW_TRY(
        db_.query("INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 "
                  "RETURNING value",
                  {counter}, [&](const Row& row) { row.into(value); }));
    return value;
  }
  Result<uint64_t> last(std::string_view counter) override {
    uint64_t value = 0;
    SAW_TRY(db_.query("SELECT value FROM counters WHERE name = ?", {counter},
                      [&](const Row& row) { row.into(value); }));
    return value;
  }

 private:
  Result<std::optional<Agent>> one_agent(std::string_view sql, const std::vector<Value>& values) {
    std::optional<Agent> out;
    SAW_TRY(db_.query(sql, values, [&](const Row& row) { out = to_agent(row); }));
    return out;
  }

  Database db_;
};

}  // namespace

Result<std::unique_ptr<Store>> SqliteStore::open(const std::string& path) {
  Database db = SAW_TRY(Database::open(path));
  auto store = std::make_unique<Sqlite>(std::move(db));
  SAW_TRY(store->migrate(), fmt::format("preparing '{}'", path));
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace saw::store
