-- Only for a database that is given up: without the log nothing can be rebuilt.
DROP TABLE blobs;
DROP TABLE log;
