-- The refresh tokens of a session are stored side by side, so a token and its successor are usually on one page. The
-- session says when tokens clear has to look at them, so a rotation changes no index except that of the hashes.
ALTER TABLE refresh_tokens RENAME TO refresh_tokens_by_hash;

CREATE TABLE refresh_tokens (
  session_id INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  generation INTEGER NOT NULL,                -- grows by one with each rotation: a session has no branches
  hash       BLOB NOT NULL,                   -- SHA-256 of the token
  issued_at  INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,                -- idle limit
  rotated_at INTEGER,                         -- NULL: the live leaf
  successor  BLOB,                            -- the next token, sealed under a key derived from this one
  PRIMARY KEY (session_id, generation)
) STRICT, WITHOUT ROWID;

INSERT INTO refresh_tokens (session_id, generation, hash, issued_at, expires_at, rotated_at, successor)
SELECT session_id, row_number() OVER (PARTITION BY session_id ORDER BY rotated_at IS NULL, rotated_at, issued_at, hash),
  hash, issued_at, expires_at, rotated_at, successor
FROM refresh_tokens_by_hash ORDER BY 1, 2;

DROP TABLE refresh_tokens_by_hash;
CREATE UNIQUE INDEX refresh_tokens_hash ON refresh_tokens (hash);

-- When tokens clear looks at the session next: a refresh token may have expired by then, or the session has no token
-- and reaches its limit.
ALTER TABLE sessions ADD COLUMN clear_at INTEGER;
UPDATE sessions SET clear_at = coalesce((SELECT min(expires_at) FROM refresh_tokens WHERE session_id = id), expires_at);
DROP INDEX sessions_expires;
CREATE INDEX sessions_clear ON sessions (clear_at) WHERE clear_at IS NOT NULL;
