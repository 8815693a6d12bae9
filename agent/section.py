"""What every table of a config file has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the file: unknown keys are errors, values never change after loading."""

    # Validators are built when the first file is read, once within `Config`, and not for each section by itself.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
