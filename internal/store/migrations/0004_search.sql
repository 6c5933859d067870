-- What users are filtered by: one row for each user, which triggers keep up to date. Texts are made by the SQL
-- function fold: NFKC without case.

CREATE TABLE user_search (
  user_id         INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  username        TEXT NOT NULL,                  -- as shown: the address of an account without one
  email           TEXT NOT NULL,
  first_name      TEXT NOT NULL,
  last_name       TEXT NOT NULL,
  secondary_email TEXT NOT NULL,                  -- '': none
  is_active       INTEGER NOT NULL,
  is_staff        INTEGER NOT NULL,
  verified        INTEGER NOT NULL,
  archived        INTEGER NOT NULL
) STRICT;

-- An entry of an index ends with the id of its row, so equal values come in the order of ids. The partial indexes
-- leave out the value that most users have: a scan finds such users soon.
CREATE INDEX user_search_username ON user_search (username);
CREATE INDEX user_search_first_name ON user_search (first_name) WHERE first_name <> '';
CREATE INDEX user_search_last_name ON user_search (last_name) WHERE last_name <> '';
CREATE INDEX user_search_inactive ON user_search (is_active) WHERE is_active = 0;
CREATE INDEX user_search_staff ON user_search (is_staff) WHERE is_staff = 1;
CREATE INDEX user_search_verified ON user_search (verified);
CREATE INDEX user_search_archived ON user_search (archived) WHERE archived = 1;

CREATE VIEW user_search_source AS
  SELECT u.id AS user_id, fold(coalesce(u.username, p.address)) AS username, fold(p.address) AS email,
    fold(u.first_name) AS first_name, fold(u.last_name) AS last_name, coalesce(fold(b.address), '') AS secondary_email,
    u.is_active, u.is_staff, s.verified, s.archived
  FROM users u
  JOIN user_status s ON s.user_id = u.id
  JOIN addresses p ON p.canonical = u.email
  LEFT JOIN addresses b ON b.canonical = s.secondary_email;

-- Inserting an id into this view updates the row of the user. A user without a status or an address has no row.
CREATE VIEW user_search_refresh AS SELECT 0 AS user_id;
CREATE TRIGGER user_search_refresh INSTEAD OF INSERT ON user_search_refresh BEGIN
  INSERT INTO user_search (user_id, username, email, first_name, last_name, secondary_email, is_active, is_staff, verified, archived)
  SELECT user_id, username, email, first_name, last_name, secondary_email, is_active, is_staff, verified, archived
  FROM user_search_source WHERE user_id = NEW.user_id
  ON CONFLICT (user_id) DO UPDATE SET
    username = excluded.username, email = excluded.email, first_name = excluded.first_name, last_name = excluded.last_name,
    secondary_email = excluded.secondary_email, is_active = excluded.is_active, is_staff = excluded.is_staff,
    verified = excluded.verified, archived = excluded.archived;
END;

CREATE TRIGGER users_search_insert AFTER INSERT ON users BEGIN
  INSERT INTO user_search_refresh (user_id) VALUES (NEW.id);
END;
CREATE TRIGGER users_search_update AFTER UPDATE OF username, email, first_name, last_name, is_active, is_staff ON users BEGIN
  INSERT INTO user_search_refresh (user_id) VALUES (NEW.id);
END;
CREATE TRIGGER user_status_search_insert AFTER INSERT ON user_status BEGIN
  INSERT INTO user_search_refresh (user_id) VALUES (NEW.user_id);
END;
CREATE TRIGGER user_status_search_update AFTER UPDATE OF verified, archived, secondary_email ON user_status BEGIN
  INSERT INTO user_search_refresh (user_id) VALUES (NEW.user_id);
END;
CREATE TRIGGER addresses_search_insert AFTER INSERT ON addresses BEGIN
  INSERT INTO user_search_refresh (user_id) VALUES (NEW.user_id);
END;
CREATE TRIGGER addresses_search_update AFTER UPDATE ON addresses BEGIN
  INSERT INTO user_search_refresh (user_id) VALUES (NEW.user_id);
END;

INSERT INTO user_search_refresh (user_id) SELECT id FROM users;
