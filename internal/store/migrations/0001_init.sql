-- Times are unix seconds, UTC. Booleans are 0 or 1. AUTOINCREMENT: an id is never used twice.

CREATE TABLE users (
  id               INTEGER PRIMARY KEY AUTOINCREMENT,
  username         TEXT,                          -- as shown, NFKC; NULL: the account has none of its own
  username_key     TEXT UNIQUE,                   -- case-folded, for look-ups
  email            TEXT NOT NULL UNIQUE REFERENCES addresses (canonical) DEFERRABLE INITIALLY DEFERRED,
  first_name       TEXT NOT NULL DEFAULT '',
  last_name        TEXT NOT NULL DEFAULT '',
  password         TEXT NOT NULL DEFAULT '',      -- encoded hash; '': no usable password
  is_active        INTEGER NOT NULL DEFAULT 1,
  is_staff         INTEGER NOT NULL DEFAULT 0,
  is_superuser     INTEGER NOT NULL DEFAULT 0,
  date_joined      INTEGER NOT NULL,
  last_login       INTEGER,
  credential_epoch INTEGER NOT NULL DEFAULT 0,    -- grows, never shrinks: what action tokens are bound to
  secondary_epoch  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE user_status (
  user_id         INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  verified        INTEGER NOT NULL DEFAULT 0,
  archived        INTEGER NOT NULL DEFAULT 0,
  secondary_email TEXT UNIQUE REFERENCES addresses (canonical) DEFERRABLE INITIALLY DEFERRED
) STRICT;

-- Every claimed address, primary and secondary together: one owner each.
CREATE TABLE addresses (
  canonical TEXT PRIMARY KEY,                     -- local part and IDNA domain in lower case
  user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  address   TEXT NOT NULL                         -- as shown: the local part keeps its case
) STRICT;
CREATE INDEX addresses_user ON addresses (user_id);

CREATE TABLE sessions (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,                             -- absolute limit; NULL: none
  ended_at   INTEGER,                             -- NULL: live
  end_reason TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_live ON sessions (user_id) WHERE ended_at IS NULL;

-- A session is a family of refresh tokens; each but the live leaf has a successor.
CREATE TABLE refresh_tokens (
  hash       BLOB PRIMARY KEY,                -- SHA-256 of the token
  session_id INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  issued_at  INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,                -- idle limit
  rotated_at INTEGER,                         -- NULL: the live leaf
  successor  BLOB                                 -- the next token, sealed under a key derived from this one
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

-- Messages that are accepted and not yet in the spool.
CREATE TABLE outbox (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  name       TEXT NOT NULL UNIQUE,                -- final file name in the spool
  created_at INTEGER NOT NULL,
  message    BLOB NOT NULL                        -- the bytes of the mail, sealed
) STRICT;
