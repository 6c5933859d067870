-- Values of configured fields ([[accounts.fields]]), and of fields that are no longer configured.
CREATE TABLE user_fields (
  user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name      TEXT NOT NULL,
  value     ANY NOT NULL,                         -- TEXT, INTEGER (Boolean: 0 or 1, DateTime: unix seconds) or REAL
  is_unique INTEGER NOT NULL DEFAULT 0,           -- the field was unique when this was stored
  PRIMARY KEY (user_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_fields_value ON user_fields (name, value);
CREATE UNIQUE INDEX user_fields_unique ON user_fields (name, value) WHERE is_unique = 1;
