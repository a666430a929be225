import type { KindLogic, KindTable } from "../../kind-logic.ts";
import {
  csiDriverColumns,
  csiNodeColumns,
  csiStorageCapacityColumns,
  storageClassColumns,
  volumeAttachmentColumns,
  volumeAttributesClassColumns,
} from "./storage-columns.ts";
import { defaultCsiDriver, defaultStorageClass } from "./storage-defaults.ts";
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from "./types.ts";

const storageClasses: KindLogic<StorageClass> = {
  defaults: defaultStorageClass,
  columns: storageClassColumns,
};

const csiDrivers: KindLogic<CSIDriver> = { defaults: defaultCsiDriver, columns: csiDriverColumns };
const csiNodes: KindLogic<CSINode> = { columns: csiNodeColumns };
const csiStorageCapacities: KindLogic<CSIStorageCapacity> = { columns: csiStorageCapacityColumns };
const volumeAttachments: KindLogic<VolumeAttachment> = { columns: volumeAttachmentColumns };
const volumeAttributesClasses: KindLogic<VolumeAttributesClass> = {
  columns: volumeAttributesClassColumns,
};

export const storageKinds: KindTable = {
  csidrivers: csiDrivers,
  csinodes: csiNodes,
  csistoragecapacities: csiStorageCapacities,
  storageclasses: storageClasses,
  volumeattachments: volumeAttachments,
  volumeattributesclasses: volumeAttributesClasses,
};
