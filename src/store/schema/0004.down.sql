-- The way back from schema 4: what was known of files is gone; the files themselves stay.
DROP TABLE attachments;
