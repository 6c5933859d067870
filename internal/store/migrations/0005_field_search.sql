-- The text of a configured field in the form of user_search, for filters. Triggers keep it up to date. NULL: the value
-- is no text.
ALTER TABLE user_fields ADD COLUMN folded TEXT;
UPDATE user_fields SET folded = fold(value) WHERE typeof(value) = 'text';

-- An entry ends with the id of the user, as in user_fields_value, so equal values come in the order of ids.
CREATE INDEX user_fields_folded ON user_fields (name, folded) WHERE folded IS NOT NULL;

CREATE TRIGGER user_fields_folded_insert AFTER INSERT ON user_fields WHEN typeof(NEW.value) = 'text' BEGIN
  UPDATE user_fields SET folded = fold(NEW.value) WHERE user_id = NEW.user_id AND name = NEW.name;
END;
CREATE TRIGGER user_fields_folded_update AFTER UPDATE OF value ON user_fields BEGIN
  UPDATE user_fields SET folded = CASE typeof(NEW.value) WHEN 'text' THEN fold(NEW.value) END
  WHERE user_id = NEW.user_id AND name = NEW.name;
END;
