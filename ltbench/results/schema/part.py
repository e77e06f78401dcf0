"""What every part of a record is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Hold a part of a record."""

    model_config = ConfigDict(strict=True, extra="allow", use_attribute_docstrings=True, serialize_by_alias=True,
                              protected_namespaces=())

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON holds of it: unknown fields are there, and absent ones are not."""
        return self.model_dump(exclude_unset=True)
