-- The store of this example, in MariaDB or MySQL. Whoever changes `handlers` need not know of the rest.

CREATE TABLE handlers (
  path VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,
  code MEDIUMTEXT NOT NULL,
  version BIGINT UNSIGNED NOT NULL DEFAULT 0  -- Set by the triggers: the number of its last change.
) ENGINE = InnoDB;

-- One row: how many changes there were.
CREATE TABLE handler_changes (
  id TINYINT PRIMARY KEY,
  changes BIGINT UNSIGNED NOT NULL
) ENGINE = InnoDB;
INSERT INTO handler_changes VALUES (1, 0);

DELIMITER //
CREATE TRIGGER handler_is_new BEFORE INSERT ON handlers FOR EACH ROW BEGIN
  UPDATE handler_changes SET changes = changes + 1 WHERE id = 1;
  SET NEW.version = (SELECT changes FROM handler_changes WHERE id = 1);
END //
CREATE TRIGGER handler_has_changed BEFORE UPDATE ON handlers FOR EACH ROW BEGIN
  UPDATE handler_changes SET changes = changes + 1 WHERE id = 1;
  SET NEW.version = (SELECT changes FROM handler_changes WHERE id = 1);
END //
CREATE TRIGGER handler_is_gone AFTER DELETE ON handlers FOR EACH ROW BEGIN
  UPDATE handler_changes SET changes = changes + 1 WHERE id = 1;
END //

-- Waits until the number of changes is another than `seen`, at most so many seconds. Each statement of a
-- procedure sees what others have committed by then; those of a function would not.
CREATE PROCEDURE wait_for_change(IN seen BIGINT UNSIGNED, IN seconds DOUBLE, OUT now BIGINT UNSIGNED)
BEGIN
  DECLARE latest DATETIME(6) DEFAULT SYSDATE(6) + INTERVAL seconds * 1000000 MICROSECOND;
  SELECT changes INTO now FROM handler_changes WHERE id = 1;
  WHILE now = seen AND SYSDATE(6) < latest DO
    DO SLEEP(0.005);
    SELECT changes INTO now FROM handler_changes WHERE id = 1;
  END WHILE;
END //
DELIMITER ;
