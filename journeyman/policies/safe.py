from journeyman.safe import safe

__all__ = ["safe"]
