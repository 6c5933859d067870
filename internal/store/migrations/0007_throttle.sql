-- Counters of attempts: one row for each account, name, network or recipient.
CREATE TABLE throttles (
  kind     TEXT NOT NULL,
  key      TEXT NOT NULL,                         -- a user's id, or a pseudonym that the key file makes
  since    INTEGER NOT NULL,                      -- the counted time began
  count    INTEGER NOT NULL,                      -- in that time
  failures INTEGER NOT NULL DEFAULT 0,            -- in a row, however long ago
  refused  INTEGER NOT NULL DEFAULT 0,            -- tries that were not looked at
  used     INTEGER NOT NULL,                      -- last change: the first to go when there are too many
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX throttles_used ON throttles (kind, used);

-- Number of rows of each kind, which triggers keep: counting 100,000 rows for each new one would take milliseconds.
CREATE TABLE throttle_sizes (
  kind TEXT PRIMARY KEY,
  keys INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER throttles_insert AFTER INSERT ON throttles BEGIN
  INSERT INTO throttle_sizes (kind, keys) VALUES (NEW.kind, 1) ON CONFLICT (kind) DO UPDATE SET keys = keys + 1;
END;
CREATE TRIGGER throttles_delete AFTER DELETE ON throttles BEGIN
  UPDATE throttle_sizes SET keys = keys - 1 WHERE kind = OLD.kind;
END;
