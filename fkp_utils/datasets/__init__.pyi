from .base import FaceDataset as FaceDataset, register as register, registered as registered
from .crop import Crop as Crop
from .ibug import IBugFaces as IBugFaces, published_landmarks as published_landmarks
from .imm import IMMFaces as IMMFaces, IMMNoses as IMMNoses
from .personal import personal_photos as personal_photos
from .root import EMBEDDED as EMBEDDED, data_root as data_root
from .scenes import Scenes as Scenes
