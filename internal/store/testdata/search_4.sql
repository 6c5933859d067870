-- The index that migration 4 made before migration 14 came.
CREATE VIEW user_search_text AS
  SELECT user_id, char(2, 2) || username AS username, char(2, 2) || email AS email, char(2, 2) || first_name AS first_name,
    char(2, 2) || last_name AS last_name, char(2, 2) || secondary_email AS secondary_email
  FROM user_search;
CREATE VIRTUAL TABLE user_substrings USING fts5 (
  username, email, first_name, last_name, secondary_email,
  content = 'user_search_text', content_rowid = 'user_id', columnsize = 0, tokenize = 'trigram case_sensitive 1'
);
-- What is deleted leaves the index at once, not at some later merge.
INSERT INTO user_substrings (user_substrings, rank) VALUES ('secure-delete', 1);

CREATE TRIGGER user_substrings_insert AFTER INSERT ON user_search BEGIN
  INSERT INTO user_substrings (rowid, username, email, first_name, last_name, secondary_email)
  VALUES (NEW.user_id, char(2, 2) || NEW.username, char(2, 2) || NEW.email, char(2, 2) || NEW.first_name,
    char(2, 2) || NEW.last_name, char(2, 2) || NEW.secondary_email);
END;
CREATE TRIGGER user_substrings_delete AFTER DELETE ON user_search BEGIN
  INSERT INTO user_substrings (user_substrings, rowid, username, email, first_name, last_name, secondary_email)
  VALUES ('delete', OLD.user_id, char(2, 2) || OLD.username, char(2, 2) || OLD.email, char(2, 2) || OLD.first_name,
    char(2, 2) || OLD.last_name, char(2, 2) || OLD.secondary_email);
END;
CREATE TRIGGER user_substrings_update AFTER UPDATE ON user_search
WHEN (OLD.username, OLD.email, OLD.first_name, OLD.last_name, OLD.secondary_email)
  IS NOT (NEW.username, NEW.email, NEW.first_name, NEW.last_name, NEW.secondary_email)
BEGIN
  INSERT INTO user_substrings (user_substrings, rowid, username, email, first_name, last_name, secondary_email)
  VALUES ('delete', OLD.user_id, char(2, 2) || OLD.username, char(2, 2) || OLD.email, char(2, 2) || OLD.first_name,
    char(2, 2) || OLD.last_name, char(2, 2) || OLD.secondary_email);
  INSERT INTO user_substrings (rowid, username, email, first_name, last_name, secondary_email)
  VALUES (NEW.user_id, char(2, 2) || NEW.username, char(2, 2) || NEW.email, char(2, 2) || NEW.first_name,
    char(2, 2) || NEW.last_name, char(2, 2) || NEW.secondary_email);
END;
