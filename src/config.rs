//! Configuration: what the user wrote in a file and in the environment, checked.
