-- Where what the views read stands: not among what `show tables` names.
CREATE SCHEMA _artifacts;
