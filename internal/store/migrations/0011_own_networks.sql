-- The networks from which a user has logged in or set a password. Wrong passwords from elsewhere do not block logins
-- from these.
CREATE TABLE own_networks (
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  network TEXT NOT NULL,                          -- a pseudonym that the key file makes
  used_at INTEGER NOT NULL,                       -- unix seconds, written once a day
  PRIMARY KEY (user_id, network)
) STRICT, WITHOUT ROWID;
CREATE INDEX own_networks_network ON own_networks (network, used_at);
CREATE INDEX own_networks_used ON own_networks (used_at);

-- Counters of a network are deleted with it.
CREATE TRIGGER own_networks_delete AFTER DELETE ON own_networks BEGIN
  DELETE FROM throttles WHERE kind = 'known' AND key = OLD.user_id || ' ' || OLD.network;
END;
