"""What a person sees of a command: tables that fit, and no messages that help nobody."""
