//! Layouts, case by case and by property.
