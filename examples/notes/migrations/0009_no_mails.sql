-- Mail is kept by `leanto/email/capture` now.
DROP TABLE mails;
