"""What starts work without a person: sensors, schedules and the jobs they run."""
