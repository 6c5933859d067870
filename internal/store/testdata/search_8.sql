-- The index that migration 8 made before migration 14 came. The function grams is no longer there.
CREATE VIEW user_search_text AS
  SELECT user_id, grams(username, email, first_name, last_name, secondary_email) AS grams FROM user_search;
CREATE VIRTUAL TABLE user_substrings USING fts5 (
  grams, content = 'user_search_text', content_rowid = 'user_id', columnsize = 0, detail = none, tokenize = 'ascii'
);
-- What is deleted leaves the index at once, not at some later merge.
INSERT INTO user_substrings (user_substrings, rank) VALUES ('secure-delete', 1);

CREATE TRIGGER user_substrings_insert AFTER INSERT ON user_search BEGIN
  INSERT INTO user_substrings (rowid, grams)
  VALUES (NEW.user_id, grams(NEW.username, NEW.email, NEW.first_name, NEW.last_name, NEW.secondary_email));
END;
CREATE TRIGGER user_substrings_delete AFTER DELETE ON user_search BEGIN
  INSERT INTO user_substrings (user_substrings, rowid, grams)
  VALUES ('delete', OLD.user_id, grams(OLD.username, OLD.email, OLD.first_name, OLD.last_name, OLD.secondary_email));
END;
-- Only the words of what has changed: grams makes none of NULL.
CREATE TRIGGER user_substrings_update AFTER UPDATE ON user_search
WHEN (OLD.username, OLD.email, OLD.first_name, OLD.last_name, OLD.secondary_email)
  IS NOT (NEW.username, NEW.email, NEW.first_name, NEW.last_name, NEW.secondary_email)
BEGIN
  INSERT INTO user_substrings (user_substrings, rowid, grams)
  VALUES ('delete', OLD.user_id, grams(nullif(OLD.username, NEW.username), nullif(OLD.email, NEW.email),
    nullif(OLD.first_name, NEW.first_name), nullif(OLD.last_name, NEW.last_name), nullif(OLD.secondary_email, NEW.secondary_email)));
  INSERT INTO user_substrings (rowid, grams)
  VALUES (NEW.user_id, grams(nullif(NEW.username, OLD.username), nullif(NEW.email, OLD.email),
    nullif(NEW.first_name, OLD.first_name), nullif(NEW.last_name, OLD.last_name), nullif(NEW.secondary_email, OLD.secondary_email)));
END;
