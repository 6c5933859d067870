-- The full-text indexes of user_search: one of trigrams for each text, so that a search never reads what another text
-- has. Two characters that nobody types stand before each text, so that its beginning has trigrams of its own.

-- What migrations 4 and 8 made before.
DROP TRIGGER IF EXISTS user_substrings_insert;
DROP TRIGGER IF EXISTS user_substrings_delete;
DROP TRIGGER IF EXISTS user_substrings_update;
DROP TABLE IF EXISTS user_substrings;
DROP VIEW IF EXISTS user_search_text;

CREATE VIEW user_search_text AS
  SELECT user_id, char(2, 2) || username AS username, char(2, 2) || email AS email,
    char(2, 2) || first_name AS first_name, char(2, 2) || last_name AS last_name,
    char(2, 2) || secondary_email AS secondary_email
  FROM user_search;
CREATE VIRTUAL TABLE search_username USING fts5 (
  username, content = 'user_search_text', content_rowid = 'user_id',
  columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1'
);
CREATE VIRTUAL TABLE search_email USING fts5 (
  email, content = 'user_search_text', content_rowid = 'user_id',
  columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1'
);
CREATE VIRTUAL TABLE search_first_name USING fts5 (
  first_name, content = 'user_search_text', content_rowid = 'user_id',
  columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1'
);
CREATE VIRTUAL TABLE search_last_name USING fts5 (
  last_name, content = 'user_search_text', content_rowid = 'user_id',
  columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1'
);
CREATE VIRTUAL TABLE search_secondary_email USING fts5 (
  secondary_email, content = 'user_search_text', content_rowid = 'user_id',
  columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1'
);

-- What is deleted leaves an index at once, not at some later merge.
INSERT INTO search_username (search_username, rank) VALUES ('secure-delete', 1);
INSERT INTO search_email (search_email, rank) VALUES ('secure-delete', 1);
INSERT INTO search_first_name (search_first_name, rank) VALUES ('secure-delete', 1);
INSERT INTO search_last_name (search_last_name, rank) VALUES ('secure-delete', 1);
INSERT INTO search_secondary_email (search_secondary_email, rank) VALUES ('secure-delete', 1);

INSERT INTO search_username (search_username) VALUES ('rebuild');
INSERT INTO search_email (search_email) VALUES ('rebuild');
INSERT INTO search_first_name (search_first_name) VALUES ('rebuild');
INSERT INTO search_last_name (search_last_name) VALUES ('rebuild');
INSERT INTO search_secondary_email (search_secondary_email) VALUES ('rebuild');

-- Texts that are empty, or stay as they are, cost nothing.
CREATE TRIGGER user_search_insert AFTER INSERT ON user_search BEGIN
  INSERT INTO search_username (rowid, username)
    SELECT NEW.user_id, char(2, 2) || NEW.username WHERE NEW.username <> '';
  INSERT INTO search_email (rowid, email)
    SELECT NEW.user_id, char(2, 2) || NEW.email WHERE NEW.email <> '';
  INSERT INTO search_first_name (rowid, first_name)
    SELECT NEW.user_id, char(2, 2) || NEW.first_name WHERE NEW.first_name <> '';
  INSERT INTO search_last_name (rowid, last_name)
    SELECT NEW.user_id, char(2, 2) || NEW.last_name WHERE NEW.last_name <> '';
  INSERT INTO search_secondary_email (rowid, secondary_email)
    SELECT NEW.user_id, char(2, 2) || NEW.secondary_email WHERE NEW.secondary_email <> '';
END;
CREATE TRIGGER user_search_delete AFTER DELETE ON user_search BEGIN
  INSERT INTO search_username (search_username, rowid, username)
    SELECT 'delete', OLD.user_id, char(2, 2) || OLD.username WHERE OLD.username <> '';
  INSERT INTO search_email (search_email, rowid, email)
    SELECT 'delete', OLD.user_id, char(2, 2) || OLD.email WHERE OLD.email <> '';
  INSERT INTO search_first_name (search_first_name, rowid, first_name)
    SELECT 'delete', OLD.user_id, char(2, 2) || OLD.first_name WHERE OLD.first_name <> '';
  INSERT INTO search_last_name (search_last_name, rowid, last_name)
    SELECT 'delete', OLD.user_id, char(2, 2) || OLD.last_name WHERE OLD.last_name <> '';
  INSERT INTO search_secondary_email (search_secondary_email, rowid, secondary_email)
    SELECT 'delete', OLD.user_id, char(2, 2) || OLD.secondary_email WHERE OLD.secondary_email <> '';
END;
CREATE TRIGGER search_username_update AFTER UPDATE ON user_search WHEN OLD.username <> NEW.username BEGIN
  INSERT INTO search_username (search_username, rowid, username)
    SELECT 'delete', OLD.user_id, char(2, 2) || OLD.username WHERE OLD.username <> '';
  INSERT INTO search_username (rowid, username)
    SELECT NEW.user_id, char(2, 2) || NEW.username WHERE NEW.username <> '';
END;
CREATE TRIGGER search_email_update AFTER UPDATE ON user_search WHEN OLD.email <> NEW.email BEGIN
  INSERT INTO search_email (search_email, rowid, email)
    SELECT 'delete', OLD.user_id, char(2, 2) || OLD.email WHERE OLD.email <> '';
  INSERT INTO search_email (rowid, email)
    SELECT NEW.user_id, char(2, 2) || NEW.email WHERE NEW.email <> '';
END;
CREATE TRIGGER search_first_name_update AFTER UPDATE ON user_search WHEN OLD.first_name <> NEW.first_name BEGIN
  INSERT INTO search_first_name (search_first_name, rowid, first_name)
    SELECT 'delete', OLD.user_id, char(2, 2) || OLD.first_name WHERE OLD.first_name <> '';
  INSERT INTO search_first_name (rowid, first_name)
    SELECT NEW.user_id, char(2, 2) || NEW.first_name WHERE NEW.first_name <> '';
END;
CREATE TRIGGER search_last_name_update AFTER UPDATE ON user_search WHEN OLD.last_name <> NEW.last_name BEGIN
  INSERT INTO search_last_name (search_last_name, rowid, last_name)
    SELECT 'delete', OLD.user_id, char(2, 2) || OLD.last_name WHERE OLD.last_name <> '';
  INSERT INTO search_last_name (rowid, last_name)
    SELECT NEW.user_id, char(2, 2) || NEW.last_name WHERE NEW.last_name <> '';
END;
CREATE TRIGGER search_secondary_email_update AFTER UPDATE ON user_search
WHEN OLD.secondary_email <> NEW.secondary_email BEGIN
  INSERT INTO search_secondary_email (search_secondary_email, rowid, secondary_email)
    SELECT 'delete', OLD.user_id, char(2, 2) || OLD.secondary_email WHERE OLD.secondary_email <> '';
  INSERT INTO search_secondary_email (rowid, secondary_email)
    SELECT NEW.user_id, char(2, 2) || NEW.secondary_email WHERE NEW.secondary_email <> '';
END;
