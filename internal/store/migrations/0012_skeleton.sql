-- Usernames that look alike have the same skeleton, which must be unique. NULL: no username, or an address as
-- username. An address belongs to one account anyway.
ALTER TABLE users ADD COLUMN username_skeleton TEXT;
-- The id of the account if its username looked like another one when this column was added: both keep their names.
-- Otherwise 0.
ALTER TABLE users ADD COLUMN sharer_id INTEGER NOT NULL DEFAULT 0;

UPDATE users SET username_skeleton = skeleton(username) WHERE instr(username_key, '@') = 0;
UPDATE users SET sharer_id = id WHERE username_skeleton IN (
  SELECT username_skeleton FROM users WHERE username_skeleton IS NOT NULL GROUP BY username_skeleton HAVING count(*) > 1
);
CREATE UNIQUE INDEX users_skeleton ON users (username_skeleton, sharer_id) WHERE username_skeleton IS NOT NULL;

CREATE TRIGGER users_skeleton_insert AFTER INSERT ON users WHEN instr(NEW.username_key, '@') = 0 BEGIN
  UPDATE users SET username_skeleton = skeleton(NEW.username) WHERE id = NEW.id;
END;
CREATE TRIGGER users_skeleton_update AFTER UPDATE OF username ON users
WHEN NEW.username IS NOT OLD.username BEGIN
  UPDATE users SET
    username_skeleton = CASE instr(NEW.username_key, '@') WHEN 0 THEN skeleton(NEW.username) END,
    sharer_id = iif(skeleton(NEW.username) = OLD.username_skeleton, OLD.sharer_id, 0)
  WHERE id = NEW.id;
END;
