"""The scoring engine that encoder and decoder share."""
