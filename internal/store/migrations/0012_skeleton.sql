-- Usernames that look alike have the same skeleton, which no two accounts may have. NULL: no username, or one that
-- is an address: addresses belong to one account each, and nobody is refused their own.
ALTER TABLE users ADD COLUMN username_skeleton TEXT;
-- The id of an account whose username looked like another's when skeletons came: both keep theirs. 0: of any other.
ALTER TABLE users ADD COLUMN looked_alike INTEGER NOT NULL DEFAULT 0;

UPDATE users SET username_skeleton = skeleton(username_key) WHERE instr(username_key, '@') = 0;
UPDATE users SET looked_alike = id WHERE username_skeleton IN (
  SELECT username_skeleton FROM users WHERE username_skeleton IS NOT NULL GROUP BY username_skeleton HAVING count(*) > 1
);
CREATE UNIQUE INDEX users_skeleton ON users (username_skeleton, looked_alike) WHERE username_skeleton IS NOT NULL;

CREATE TRIGGER users_skeleton_insert AFTER INSERT ON users WHEN instr(NEW.username_key, '@') = 0 BEGIN
  UPDATE users SET username_skeleton = skeleton(NEW.username_key) WHERE id = NEW.id;
END;
CREATE TRIGGER users_skeleton_update AFTER UPDATE OF username_key ON users
WHEN NEW.username_key IS NOT OLD.username_key BEGIN
  UPDATE users SET
    username_skeleton = CASE instr(NEW.username_key, '@') WHEN 0 THEN skeleton(NEW.username_key) END,
    looked_alike = iif(skeleton(NEW.username_key) = OLD.username_skeleton, OLD.looked_alike, 0)
  WHERE id = NEW.id;
END;
