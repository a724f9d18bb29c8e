//! A turn as a state machine.
